"""What footage is used for: dossiers, requests and grants, registers, exceptions, procedures with clocks."""
