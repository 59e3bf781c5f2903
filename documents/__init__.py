"""Printed things: PDF by typst, registers as CSV and XLSX, QR codes. Data in, bytes out; knows no rule and no database."""
