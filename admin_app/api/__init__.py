"""The desk for scripts: JSON under `/api`, with the permissions, the rules and the audit log of the pages."""
