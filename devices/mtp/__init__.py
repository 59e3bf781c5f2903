"""Recorders and phones that speak MTP or PTP: our own initiator, because the libraries cannot resume or pass 4 GiB."""
