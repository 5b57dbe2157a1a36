"""What SQLAlchemy's dialects have in common here: a URL names one of the host's databases, and the host keeps the
connections to it.
"""

from sqlalchemy.pool import NullPool


class HostDialect:
    driver = "wasmserve"

    @classmethod
    def get_pool_class(cls, url):
        # What an instance keeps of connections would have it made anew for the next request.
        return NullPool

    def create_connect_args(self, url):
        return [url.host or url.database], {}

    def on_connect(self):
        return None
