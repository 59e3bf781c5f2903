"""The command line, one file per command. Names and JSON fields are a stable contract (docs/formats/cli.md)."""
