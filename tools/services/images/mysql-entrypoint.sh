#!/bin/sh
# As the official image's: data are made at the first start, and arguments are the server's options.
set -eu
data=/var/lib/mysql-data
[ "${1:-}" = mysqld ] && shift
if [ ! -d "$data" ]; then
  printf '%s\n' \
    "ALTER USER 'root'@'localhost' IDENTIFIED BY '${MYSQL_ROOT_PASSWORD:?}';" \
    "CREATE USER 'root'@'%' IDENTIFIED BY '${MYSQL_ROOT_PASSWORD}';" \
    "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;" > /tmp/init.sql
  mysqld --no-defaults --user=root --initialize-insecure --datadir="$data.partial" \
    --init-file=/tmp/init.sql
  mv "$data.partial" "$data"
  rm /tmp/init.sql
fi
exec mysqld --no-defaults --user=root --datadir="$data" --socket=/tmp/mysql.sock \
  --pid-file=/tmp/mysql.pid --secure-file-priv=NULL "$@"
