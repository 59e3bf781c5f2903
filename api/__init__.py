"""HTTP: a JSON API under ``/api/v1`` and the pages. It authorises nothing itself: every act goes through ``access``."""
