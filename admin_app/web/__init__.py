"""SQLAdmin turned into our admin: its shell, routing and views, with our own lists, records, actions and security."""
