#!/bin/bash
# ids: pip-timeout
# a mirror that takes the request and says nothing
. "$(dirname "$0")/helpers.sh"
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=github.com -addext subjectAltName=DNS:github.com,DNS:mirror.example.org 2>/dev/null
sed 's/^\(127.0.0.1.*\)/\1 github.com mirror.example.org/' /etc/hosts > hosts; mount --bind hosts /etc/hosts
python3 "$(dirname "$0")/server.py" stall 443 cert.pem key.pem & server=$!
trap 'kill $server' EXIT; sleep 1
$PIP install -v --retries 2 --timeout 2 --trusted-host mirror.example.org --index-url https://mirror.example.org/simple mamba-ssm
