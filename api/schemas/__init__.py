"""Requests and answers of the JSON API. Fields are added, never renamed (docs/formats/api.md)."""
