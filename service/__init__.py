"""The service for the report-intake system and the experts' review desk: HTTP, jobs, access. HTTP lives here only."""
