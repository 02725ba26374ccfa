"""The routes under ``/v1`` beside reports: people, register, decisions, statistics, suggestions, pictures, exports, evidence."""
