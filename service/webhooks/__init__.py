"""Webhooks: signed messages to the systems that sent reports."""
