"""The kernel: vocabulary, events, ports, errors, clock, durable files, sandbox.

It imports nothing but the standard library, so that every room above can rely on it and it can rely on nobody.
What belongs here: words that more than one room needs. What does not: anything that knows a database, a wire format of a
device, or a web framework.
"""
