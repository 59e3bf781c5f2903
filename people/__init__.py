"""Who may do what: roles, departments, the policy and passwords. Pure: no database, no clock, no interface."""
