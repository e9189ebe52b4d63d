#!/bin/bash
# As apache/kafka's: KAFKA_LOG_DIRS is the property log.dirs (_ is a dot, __ an underline, ___ a dash).
set -euo pipefail
data=/var/lib/kafka-data
properties=/tmp/server.properties
echo "log.dirs=$data" > "$properties"
while IFS='=' read -r name value; do
  name=${name#KAFKA_}
  name=${name,,}
  name=${name//___/-}
  name=${name//__/%}
  name=${name//_/.}
  echo "${name//%/_}=$value" >> "$properties"
done < <(env | grep '^KAFKA_')
classes="$BROKER_LIBRARIES/*"
if [ ! -e "$data/meta.properties" ]; then
  id=k$(head -c 15 /dev/urandom | base64 | tr '+/' '-_')A
  "$JAVA" -cp "$classes" kafka.tools.StorageTool format -t "$id" -c "$properties"
fi
exec "$JAVA" -Xmx512m -Dlog4j2.configurationFile=/log4j2.xml -cp "$classes" kafka.Kafka "$properties"
