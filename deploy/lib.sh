# shellcheck shell=bash
# deploy/lib.sh - what deploy/local and the tests' database share; sourced by bash scripts.
# A cluster of our own: on its unix socket alone, durable, its processes as user postgres when we are root.

am_root=; [ "$(id -u)" != 0 ] || am_root=1

die() { echo "$0: $*" >&2; exit 1; }

# run_as USER COMMAND...: as that user if we are root. exec it in a background job to know its pid. The inner setpriv
# makes the kernel end the child should this script be killed by SIGKILL (set last: a change of user clears it).
run_as() {
	local user=$1 sig=()
	shift
	[ -z "${DEATHSIG:-}" ] || sig=(setpriv --pdeathsig "$DEATHSIG" --)
	if [ -n "$am_root" ] && [ "$user" != root ]; then
		exec setpriv --reuid "$user" --regid "$user" --init-groups -- "${sig[@]}" "$@"
	fi
	exec "${sig[@]}" "$@"
}

# Ends a child and waits: end_child PID SIGNAL SECONDS; false when it is still there.
end_child() {
	local pid=$1 n=$(($3 * 20))
	[ -n "$pid" ] || return 0
	kill -s "$2" "$pid" 2>/dev/null || return 0
	until ! kill -0 "$pid" 2>/dev/null || is_zombie "$pid"; do
		[ $((n--)) -gt 0 ] || return 1
		nap 0.05
	done
	wait "$pid" 2>/dev/null || true
}
is_zombie() { [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)" = Z ]; }
# sleep in the background, so that a signal's trap runs at once
nap() { sleep "$1" & wait $! || true; }

pg_bin() {
	local d
	d=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/postgres' 2>/dev/null | sort -V | tail -n 1)
	[ -n "$d" ] || die 'PostgreSQL is not installed (deploy/deps run)'
	echo "${d%/postgres}"
}

# pg_init DATA [AUTH]: a new cluster, if there is none. AUTH trust is for tests, inside a folder nobody else enters.
pg_init() {
	local data=$1 me
	[ ! -s "$data/PG_VERSION" ] || return 0
	rm -rf "$data.new"
	mkdir -p "$data.new"
	[ -z "$am_root" ] || chown postgres:postgres "$data.new"
	# The superuser is `postgres` whoever we are. Renamed when complete: a killed first start leaves no half cluster.
	(cd / && run_as postgres "$(pg_bin)/initdb" -D "$data.new" -U postgres --auth=peer -E UTF8 --locale=C --no-instructions ${3:-}) >/dev/null ||
		die "initdb failed for $data"
	me=$(id -un)
	if [ "${2:-peer}" = trust ]; then
		echo 'local all all trust' >"$data.new/pg_hba.conf"
	else
		echo 'local all all peer map=hearth' >"$data.new/pg_hba.conf"
		# The workers' system user may be nobody but hearth_worker.
		for r in postgres hearth_owner hearth_admin hearth_worker; do
			printf 'hearth "%s" %s\n' "$me" "$r"
			[ "$me" = root ] || printf 'hearth root %s\n' "$r"
			[ "$me" = postgres ] || printf 'hearth postgres %s\n' "$r"
		done >"$data.new/pg_ident.conf"
		[ -z "$am_root" ] || echo 'hearth hearth hearth_worker' >>"$data.new/pg_ident.conf"
	fi
	echo "include_if_exists 'hearth.conf'" >>"$data.new/postgresql.conf"
	rm -rf "$data"
	mv "$data.new" "$data"
}

# pg_start DATA SOCKETDIR [SETTING...]: starts it, sets pg_pid, returns when it takes connections.
pg_start() {
	local data=$1 sock=$2 n
	shift 2
	{
		cat <<-END
			listen_addresses = ''
			unix_socket_directories = '$sock'
			unix_socket_permissions = 0770
			jit = off
			default_toast_compression = lz4
			wal_compression = lz4
			fsync = on
			synchronous_commit = on
			checkpoint_completion_target = 0.9
			max_wal_size = 2GB
			random_page_cost = 1.1
			log_destination = stderr
			logging_collector = off
			log_line_prefix = '%m [%p] %q%u@%d '
			log_min_duration_statement = -1
			log_parameter_max_length_on_error = 0
			timezone = 'UTC'
			log_timezone = 'UTC'
		END
		printf '%s\n' "$@"
	} >"$data/hearth.conf"
	# A stale postmaster.pid is PostgreSQL's own business: it looks whether that process lives and owns this directory.
	DEATHSIG=INT run_as postgres setsid "$(pg_bin)/postgres" -D "$data" >>"$PG_LOG" 2>&1 </dev/null &
	pg_pid=$!
	for ((n = 0; n < 1200; n++)); do
		kill -0 $pg_pid 2>/dev/null || { tail -n 5 "$PG_LOG" >&2; die "PostgreSQL did not start; see $PG_LOG"; }
		! "$(pg_bin)/pg_isready" -q -h "$sock" || return 0
		nap 0.05
	done
	die "PostgreSQL did not become ready; see $PG_LOG"
}

pg_stop() { # fast; a backup of the WAL replay comes only when that hangs
	[ -n "${pg_pid:-}" ] || return 0
	end_child "$pg_pid" INT 60 || end_child "$pg_pid" QUIT 10 || kill -s KILL -- "-$pg_pid"
	pg_pid=
}
