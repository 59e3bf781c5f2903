"""The pages: Jinja2 templates, a little htmx, two web components; no build step, nothing from outside."""
