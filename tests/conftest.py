"""What all tests share: the fixtures that plugin authors get too."""

pytest_plugins = ["admin_app.testing"]
