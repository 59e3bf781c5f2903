"""What stands between a browser and the services: sessions, forged requests, headers, rates."""
