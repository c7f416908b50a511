"""A Hub to try: five accounts, one data volume, everything in one folder, on loopback only."""
