#!/bin/sh
# servers.sh: what `run` reads in: start_servers starts servers on loopback that keep all they have in $folder,
# end_servers ends them. Those that refuse to run as root run as a user that may do nothing else.

: "${folder:?}"
web_port='' https_port='' master_port='' replica_port='' ssh_port=''

# as_user USER COMMAND…: where we are root, as that user.
as_user()
{
    user=$1
    shift
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"
    else
        "$@"
    fi
}

# give USER FILE…: where we are root, to that user.
give()
{
    [ "$(id -u)" -ne 0 ] || chown "$@"
}

fail()
{
    echo "demo: $1 did not start:" >&2
    cat "$folder/$1.log" >&2
    exit 1
}

# at_free_port NAME FUNCTION: calls it with ports, until it succeeds: that a port is taken is found out by trying.
at_free_port()
{
    for attempt in 1 2 3 4 5 -; do
        [ "$attempt" != - ] || fail "$1"
        port=$(shuf -n 1 -i 20000-29999)
        ! "$2" "$port" || break
    done
}

# until_there FILE PID: waits for a file; fails where that process ends first.
until_there()
{
    until [ -s "$1" ]; do
        kill -0 "$2" 2>/dev/null || return 1
        sleep 0.01
    done
}

# ---- An authority of our own, and the certificate of this machine

make_certificates()
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=connpool demo' \
        -keyout "$folder/ca.key" -out "$folder/ca.pem" 2>"$folder/openssl.log" || fail openssl
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
        -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -keyout "$folder/server.key" -out "$folder/server.pem" \
        2>"$folder/openssl.log" || fail openssl
}

# ---- nginx: HTTP and HTTPS

run_nginx() { nginx -e stderr -p "$folder" -c nginx.conf 2>>"$folder/nginx.log"; }

try_nginx()
{
    web_port=$1 https_port=$(($1 + 1))
    cat >"$folder/nginx.conf" <<TEXT
daemon on;
master_process off;
pid nginx.pid;
events { }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 1000000;
  server {
    listen 127.0.0.1:$web_port;
    listen 127.0.0.1:$https_port ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    location / { return 200 "hello\n"; }
  }
}
TEXT
    run_nginx
}

start_nginx() { at_free_port nginx try_nginx; }

# ---- Redis

start_redis()
{
    redis-server --port 0 --unixsocket "$folder/redis.sock" --dir "$folder" --save '' --daemonize yes \
        --pidfile "$folder/redis.pid" --logfile "$folder/redis.log" >/dev/null
    attempt=0
    until [ -S "$folder/redis.sock" ]; do
        attempt=$((attempt + 1))
        [ $attempt -lt 500 ] || fail redis
        sleep 0.01
    done
}

# ---- PostgreSQL: a master, and a standby that streams from it

# postgres_program NAME ARGUMENT…: the newest that is installed.
postgres_program()
{
    name=$1
    shift
    as_user postgres "$(find /usr/lib/postgresql -path "*/bin/$name" | sort -V | tail -n 1)" "$@" \
        >>"$folder/postgres.log" 2>&1
}

# run_cluster NAME PORT: its socket is for our own use.
run_cluster()
{
    postgres_program pg_ctl start -w -D "$folder/postgres/$1" -l "$folder/postgres/$1.log" \
        -o "-p $2 -k '$folder/postgres'"
}

try_master() { master_port=$1; run_cluster master "$1"; }
try_replica() { replica_port=$1; run_cluster replica-1 "$1"; }

start_postgres()
{
    mkdir "$folder/postgres"
    shuf -i 100000000-999999999 -n 1 >"$folder/postgres/password"
    cp "$folder/server.pem" "$folder/server.key" "$folder/postgres"
    give -R postgres "$folder/postgres"
    postgres_program initdb -D "$folder/postgres/master" -U app -A scram-sha-256 --pwfile "$folder/postgres/password" --no-sync --no-instructions \
        --locale C -E UTF8 || fail postgres
    cat >>"$folder/postgres/master/postgresql.conf" <<TEXT
listen_addresses = '127.0.0.1'
ssl = on
ssl_cert_file = '$folder/postgres/server.pem'
ssl_key_file = '$folder/postgres/server.key'
fsync = off
shared_buffers = 2MB
dynamic_shared_memory_type = mmap
TEXT
    cat >"$folder/postgres/master/pg_hba.conf" <<TEXT
local all,replication app trust
hostssl all app 127.0.0.1/32 scram-sha-256
TEXT
    at_free_port postgres try_master
    postgres_program pg_basebackup -h "$folder/postgres" -p "$master_port" -U app -D "$folder/postgres/replica-1" -R -X stream -c fast \
        --no-sync || fail postgres
    at_free_port postgres try_replica
    # The demo's own copy of the password, as the file of a secret has to be.
    (umask 077 && cat "$folder/postgres/password" >"$folder/db.password")
}

end_postgres()
{
    for name in replica-1 master; do
        [ ! -e "$folder/postgres/$name/postmaster.pid" ] ||
            postgres_program pg_ctl stop -m immediate -D "$folder/postgres/$name" || :
    done
}

# ---- sshd, which knows one user, "demo", with a key of its own, whoever that is to the system (libnss-wrapper)

try_sshd()
{
    ssh_port=$1
    rm -f "$folder/ssh/pid"
    as_user nobody env LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD="$folder/ssh/passwd" \
        NSS_WRAPPER_GROUP="$folder/ssh/group" /usr/sbin/sshd -D -f "$folder/ssh/sshd_config" -p "$ssh_port" \
        >>"$folder/sshd.log" 2>&1 &
    ssh_pid=$!
    until_there "$folder/ssh/pid" $ssh_pid
}

start_sshd()
{
    mkdir "$folder/ssh"
    account=$(as_user nobody id -u):$(as_user nobody id -g)
    echo "demo:x:$account::$folder/ssh:/bin/sh" >"$folder/ssh/passwd"
    echo "demo:x:${account#*:}:" >"$folder/ssh/group"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/ssh/host_key"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/ssh_key"
    mv "$folder/ssh_key.pub" "$folder/ssh/authorized_keys"
    cat >"$folder/ssh/sshd_config" <<TEXT
ListenAddress 127.0.0.1
HostKey $folder/ssh/host_key
AuthorizedKeysFile $folder/ssh/authorized_keys
PidFile $folder/ssh/pid
StrictModes no
UsePAM no
PrintMotd no
TEXT
    give -R "${account%:*}" "$folder/ssh"
    at_free_port sshd try_sshd
    echo "[127.0.0.1]:$ssh_port $(cut -d ' ' -f 1,2 "$folder/ssh/host_key.pub")" >"$folder/known_hosts"
}

# end_tree PID: kills a process and its descendants; it is held meanwhile, so that it starts no more of them.
end_tree()
{
    kill -STOP "$1" 2>/dev/null || return 0
    tr ' ' '\n' <"/proc/$1/task/$1/children" | while read -r child; do
        end_tree "$child"
    done
    kill -KILL "$1"
}

# ---- All of them

# end NAME: kills the server whose pid is in NAME.pid, if it runs; back when it is gone (or a zombie, if nobody reaps).
end()
{
    pid=$(cat "$folder/$1.pid" 2>/dev/null) || return 0
    kill -KILL "$pid" 2>/dev/null || return 0
    while [ -e "/proc/$pid/exe" ]; do sleep 0.01; done
}

start_servers()
{
    make_certificates
    start_nginx
    start_redis
    start_postgres
    start_sshd
}

# write_configuration FILE: as it is, with the ports that the servers got. Its paths are relative to the file.
write_configuration()
{
    sed -e "s/\"port\": 8080/\"port\": $web_port/" -e "s/\"port\": 8443/\"port\": $https_port/" \
        -e "s/\"port\": 5432/\"port\": $master_port/" -e "s/\"port\": 5433/\"port\": $replica_port/" \
        -e "s/\"port\": 2222/\"port\": $ssh_port/" "$1" >"$folder/${1##*/}"
}

end_servers()
{
    end nginx
    end redis
    end_postgres
    [ -z "${ssh_pid-}" ] || end_tree "$ssh_pid"
}
