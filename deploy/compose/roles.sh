#!/bin/bash
# Sourced by the database image at its first start: the workers' role, which may log in and nothing else yet; the migrations grant.
psql -v ON_ERROR_STOP=1 --no-psqlrc -q -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v pw="$(cat /secrets/worker/password)" <<'END'
CREATE ROLE hearth_worker LOGIN PASSWORD :'pw';
END
