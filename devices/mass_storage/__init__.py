"""Recorders and card readers that appear as a mounted file system."""
