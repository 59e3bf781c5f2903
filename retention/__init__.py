"""How long footage is kept and how it goes: classes, schedule, decision, holds, disposal, disc sets."""
