"""Matters: numbered things that persons bring, judge and close (holds, cases, requests, tickets), each act entered in the log."""
