"""An independent Noise implementation (noiseprotocol, in Python) before a gateway that speaks Noise, with pymodbus's server behind it.

What is checked: a listed key reads and commands what the policy lets its holder, one with another role reads alone, an unknown key gets
no answer, and neither does somebody who has another pattern or another protocol inside; the connection lives on over an
exchange of keys in both directions, and an altered message ends it; `--check` tells mistakes; a key is made by the gateway.
"""

import os
import signal
import socket
import struct
import subprocess
import sys

from gateway import PLANT, start_server
from tap import free_port

REKEY = 1024


class Channel:
    """Modbus inside Noise, with two bytes of length before each message."""

    def __init__(self, port, pattern, secret, server, inside="modbus"):
        from noise.connection import Keypair, NoiseConnection

        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.noise = NoiseConnection.from_name(f"Noise_{pattern}_25519_ChaChaPoly_BLAKE2s".encode())
        self.noise.set_as_initiator()
        self.noise.set_keypair_from_private_bytes(Keypair.STATIC, secret)
        if pattern == "IK":
            self.noise.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, server)
        self.noise.set_prologue(f"twinguard noise 1 {inside}".encode())
        self.noise.start_handshake()
        self.said = self.heard = 0
        while not self.noise.handshake_finished:
            self.put(self.noise.write_message())
            if not self.noise.handshake_finished:
                self.noise.read_message(self.get())
        if pattern == "IK":
            self.say(b"")

    def put(self, message):
        self.socket.sendall(struct.pack(">H", len(message)) + message)

    def get(self):
        def exactly(count):
            read = b""
            while len(read) < count:
                more = self.socket.recv(count - len(read))
                if not more:
                    raise EOFError
                read += more
            return read

        return exactly(struct.unpack(">H", exactly(2))[0])

    def say(self, data):
        self.put(self.noise.encrypt(data))
        self.said += 1
        if self.said % REKEY == 0:
            self.noise.noise_protocol.cipher_state_encrypt.rekey()

    def hear(self):
        data = self.noise.decrypt(self.get())
        self.heard += 1
        if self.heard % REKEY == 0:
            self.noise.noise_protocol.cipher_state_decrypt.rekey()
        return bytes(data)

    def ask(self, *pdu):
        self.say(struct.pack(">HHHB", 1, 0, len(pdu) + 1, 1) + bytes(pdu))
        return self.hear()[7:]


READ = (4, 0, 0, 0, 1)
TOLD = bytes([4, 2, 500 >> 8, 500 & 255])


def write(value):
    return (6, 0, 0, value >> 8, value & 255)


def refused(*args, **more):
    """By the gateway, or by the client, who finds the answer to be none."""
    from cryptography.exceptions import InvalidTag

    try:
        Channel(*args, **more).ask(*READ)
    except (EOFError, ConnectionError, InvalidTag):
        return True
    return False


def configure(folder, server, port, pattern, clients):
    listed = ", ".join(f'{{ name = "{name}", key = "{key}" }}' for name, key in clients.items())
    with open(f"{folder}/plant.toml", "w") as file:
        file.write(PLANT.replace("principal = [", 'principal = [\n  { name = "rtu-7", roles = ["controller"] },\n  { name = "meter-3" },'))
    with open(f"{folder}/gateway.toml", "w") as file:
        file.write(f"""mode = "enforce"
[plant]
file = "plant.toml"
unsealed = true
[[modbus]]
name = "tank"
listen = "127.0.0.1:{port}"
server = "127.0.0.1:{server}"
device = "10.0.0.2:502"
requests_per_second = 100000
[modbus.noise]
pattern = "{pattern}"
key = "own.key"
client = [{listed}]
""")
    return f"{folder}/gateway.toml"


def main(gateway, out):
    folder = os.path.abspath(f"{out}/gateway_noise")
    subprocess.run(["rm", "-rf", folder], check=True)
    os.makedirs(folder)
    public, secret = {}, {}
    for name in ("own", "rtu-7", "meter-3", "stranger"):
        made = subprocess.run([gateway, "--noise-keygen", f"{folder}/{name}.key"], check=True, capture_output=True, text=True)
        public[name] = made.stdout.strip()
        with open(f"{folder}/{name}.key") as file:
            secret[name] = bytes.fromhex(file.read())
        assert os.stat(f"{folder}/{name}.key").st_mode & 0o777 == 0o600
    again = subprocess.run([gateway, "--noise-keygen", f"{folder}/own.key"], capture_output=True, text=True)
    assert again.returncode == 2 and "cannot write" in again.stderr, "a key is not written over"
    own = bytes.fromhex(public["own"])
    clients = {name: public[name] for name in ("rtu-7", "meter-3")}
    server = free_port()
    running = start_server(server)
    try:
        for pattern, other in (("IK", "XX"), ("XX", "IK")):
            port = free_port()
            config = configure(folder, server, port, pattern, clients)
            subprocess.run([gateway, "--config", config, "--check"], check=True)
            with open(config) as good, open(f"{folder}/bad.toml", "w") as bad:
                bad.write(good.read().replace("pattern", "patern").replace(public["meter-3"], public["rtu-7"]))
            told = subprocess.run([gateway, "--config", f"{folder}/bad.toml", "--check"], capture_output=True, text=True)
            assert told.returncode == 2 and "did you mean `pattern`" in told.stderr and "is that of `rtu-7` already" in told.stderr, told
            process = subprocess.Popen([gateway, "--config", config], stdout=subprocess.PIPE, text=True)
            try:
                for line in process.stdout:
                    if line.startswith("enforcing"):
                        break
                rtu = Channel(port, pattern, secret["rtu-7"], own)
                assert rtu.ask(*READ) == TOLD
                assert rtu.ask(*write(260)) == bytes(write(260)) and rtu.ask(3, 0, 0, 0, 1) == bytes([3, 2, 1, 4])
                meter = Channel(port, pattern, secret["meter-3"], own)
                assert meter.ask(*READ) == TOLD
                assert meter.ask(*write(200)) == bytes([0x86, 1]), "it may read"
                meter.say(b"")
                assert meter.hear() == b"", "the end is said by both"
                assert refused(port, pattern, secret["stranger"], own), "an unknown key"
                assert refused(port, other, secret["rtu-7"], own), "another pattern"
                assert refused(port, pattern, secret["rtu-7"], own, inside="mqtt"), "another protocol inside"
                if pattern == "IK":
                    assert refused(port, pattern, secret["rtu-7"], bytes.fromhex(public["meter-3"])), "not its server"
                for _ in range(REKEY + 50):
                    assert rtu.ask(*READ) == TOLD
                assert rtu.said > REKEY and rtu.heard > REKEY
                sealed = bytearray(rtu.noise.encrypt(b"anything"))
                sealed[0] ^= 1
                rtu.put(bytes(sealed))
                try:
                    while rtu.get():
                        pass
                    raise AssertionError("an altered message was taken")
                except (EOFError, ConnectionError):
                    pass
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
            finally:
                process.kill()
            print(f"noiseprotocol with {pattern}: a listed key commands by its role, others read or get no answer; {REKEY + 50} requests over an exchange of keys")
        print("gateway with Noise: ok")
    finally:
        running.kill()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
