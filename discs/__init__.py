"""Discs: plan, image, burn, read back and verify with xorriso. Knows files and drives, no rule and no database."""
