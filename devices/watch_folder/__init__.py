"""Folders into which recorders, FTP servers or people drop files."""
