"""How Alembic reaches the database: by the connection that `mien.web.database.Store.migrate` hands over."""

from alembic import context

from mien.web.database import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot change columns in place
    transactional_ddl=True,  # a migration is done whole or not at all
)
context.run_migrations()
