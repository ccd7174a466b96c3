"""SQLAdmin turned into our admin: its shell, routing and views, with lists, records, actions and security of our own."""
