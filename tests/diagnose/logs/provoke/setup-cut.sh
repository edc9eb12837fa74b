#!/bin/bash
# ids: wheel-download-cut
# github.com closes the connection without an answer
. "$(dirname "$0")/helpers.sh"
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=github.com -addext subjectAltName=DNS:github.com,DNS:mirror.example.org 2>/dev/null
sed 's/^\(127.0.0.1.*\)/\1 github.com mirror.example.org/' /etc/hosts > hosts; mount --bind hosts /etc/hosts
python3 "$(dirname "$0")/server.py" cut 443 cert.pem key.pem & server=$!
trap 'kill $server' EXIT; sleep 1
export SSL_CERT_FILE=$PWD/cert.pem
sources causal_conv1d 1.6.1
build
