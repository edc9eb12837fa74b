"""A loopback server that misbehaves in one way: `tls` (plain answers), `cut`, `stall`."""

import socket
import ssl
import sys
import time

mode, port, certificate, key = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
listener = socket.create_server(("127.0.0.1", port))
while True:
    plain, _ = listener.accept()
    try:
        connection = context.wrap_socket(plain, server_side=True)
        connection.recv(4096)
        if mode == "stall":
            time.sleep(60)
        if mode == "tls":
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        connection.close()
    except OSError:
        plain.close()
