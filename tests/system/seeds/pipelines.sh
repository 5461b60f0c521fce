barnacle gateway logs | grep -i "resume\|1005\|websocket"

barnacle logs | grep -i "channel\|connect\|disconnect\|reconnect"

barnacle logs | grep --line-buffered -E "connect|disconnect|reconnect|session|auth"

barnacle logs | grep -i "disconnect" | tail -20

barnacle logs | grep -i "disconnect" | awk '{print $NF}' | sort | uniq -c | sort -rn

curl -s http://localhost:18789/health/detail | jq '.channels'

curl -s http://localhost:18789/health/detail | jq '{
channels: .channels,
uptime: .uptime,
status: .status
}'
