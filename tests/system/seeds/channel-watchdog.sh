#!/bin/bash
# /usr/local/bin/barnacle-channel-watchdog.sh
HEALTH_URL="http://localhost:18789/health/detail"
EXPECTED_CHANNELS=("discord")
check_channels() {
local health=$(curl -sf "$HEALTH_URL" 2>/dev/null)
if [ -z "$health" ]; then
echo "[$(date)] barnacle service unavailable" >> /var/log/barnacle-watchdog.log
barnacle restart
return
fi
for channel in "${EXPECTED_CHANNELS[@]}"; do
local status=$(echo "$health" | jq -r ".channels.$channel" 2>/dev/null)
if [ "$status" != "connected" ]; then
echo "[$(date)] $channel status abnormal: $status" >> /var/log/barnacle-watchdog.log
# Attempt restart to recover
barnacle restart
break
fi
done
}
check_channels
