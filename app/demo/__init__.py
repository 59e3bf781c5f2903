"""The demonstration behind ``make run``: real camera files on three docked sources, through the whole main job."""
