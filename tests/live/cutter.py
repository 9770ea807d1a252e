"""A relay that cuts both directions of each TCP connection to segments of 1 to 7 bytes.

``cutter.py LISTEN TO [FROM]``: listens on LISTEN:5060, connects to TO:5060 (from the address FROM).
"""

import random
import socket
import sys
import threading


def main() -> None:
    listen, to = sys.argv[1:3]
    own = (sys.argv[3], 0) if len(sys.argv) > 3 else None
    with socket.create_server((listen, 5060)) as server:
        while True:
            client, _ = server.accept()
            onward = socket.create_connection((to, 5060), source_address=own)
            for one, other in ((client, onward), (onward, client)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=relay, args=(one, other), daemon=True).start()


def relay(source: socket.socket, target: socket.socket) -> None:
    cut = random.Random(1)
    while data := source.recv(65536):
        offset = 0
        while offset < len(data):
            size = cut.randint(1, 7)
            target.sendall(data[offset : offset + size])
            offset += size
    target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
