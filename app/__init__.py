"""The composition root: settings, wiring, command line. The only room that reads the environment and the configuration."""
