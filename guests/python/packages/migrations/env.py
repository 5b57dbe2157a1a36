"""As `alembic init` makes it, with a connection that may be given (the cookbook's "Sharing a Connection")."""

from logging.config import fileConfig

from alembic import context
from sqlalchemy import engine_from_config, pool

import stored

config = context.config
fileConfig(config.config_file_name, disable_existing_loggers=False)
target_metadata = stored.Base.metadata


def run_migrations_online():
    connection = config.attributes.get("connection")
    if connection is None:
        section = config.get_section(config.config_ini_section, {})
        connection = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool).connect()
    context.configure(connection=connection, target_metadata=target_metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


run_migrations_online()
