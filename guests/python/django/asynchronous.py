"""The same application, by way of ASGI."""

import main  # noqa: F401
from django.core.asgi import get_asgi_application

app = get_asgi_application()
