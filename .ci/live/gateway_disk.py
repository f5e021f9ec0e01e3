"""A gateway whose journal's disk is full for a while, on a small file system in memory.

What is checked: commands stop with exception 4 while the disk is full, reads go on, and commands pass again within seconds after
there is room, without a restart; the journal says that something is missing, and a gateway that starts anew opens it. Needs the right to
mount; without it this is skipped, by name.
"""

import os
import signal
import subprocess
import sys
import time

from gateway import PLANT, start_server
from tap import free_port


def start(gateway, config):
    process = subprocess.Popen([gateway, "--config", config], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("enforcing"):
            return process
    raise AssertionError("the gateway does not start")


def main(gateway, out):
    from pymodbus.client import ModbusTcpClient

    folder = os.path.abspath(f"{out}/gateway_disk")
    subprocess.run(["rm", "-rf", folder], check=True)
    disk = f"{folder}/disk"
    os.makedirs(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True).returncode != 0:
        print("gateway with a full disk: skipped, nothing can be mounted here")
        return
    server, port = free_port(), free_port()
    with open(f"{folder}/plant.toml", "w") as file:
        file.write(PLANT)
    with open(f"{folder}/gateway.toml", "w") as file:
        file.write(f"""mode = "enforce"
[plant]
file = "plant.toml"
unsealed = true
[journal]
folder = "disk/journal"
[[modbus]]
name = "tank"
listen = "127.0.0.1:{port}"
server = "127.0.0.1:{server}"
device = "10.0.0.2:502"
requests_per_second = 100000
""")
    running = start_server(server)
    process = start(gateway, f"{folder}/gateway.toml")
    try:
        client = ModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0)
        assert client.connect()

        def write():
            answer = client.write_register(0, 250, device_id=1)
            return answer.exception_code if answer.isError() else 0

        assert write() == 0
        with open(f"{disk}/filler", "wb", buffering=0) as filler:
            for size in (4096, 1):
                try:
                    while filler.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass
        passed = 0
        while write() == 0:  # what is left of the last page
            passed += 1
            assert passed < 1_000
        assert all(write() == 4 for _ in range(5))
        assert client.read_input_registers(0, count=1, device_id=1).registers == [500], "reads pass"
        time.sleep(2.5)
        assert write() == 4, "as long as it is full"
        os.remove(f"{disk}/filler")
        began = time.monotonic()
        while write() != 0:
            assert time.monotonic() - began < 10
            time.sleep(0.05)
        took = time.monotonic() - began
        assert all(write() == 0 for _ in range(20))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        holds = subprocess.run(["grep", "-rlc", "hole", f"{disk}/journal"], capture_output=True, text=True).stdout
        assert holds, "the journal says that something is missing"
        process = start(gateway, f"{folder}/gateway.toml")
        client.close()
        assert client.connect() and write() == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        print(f"gateway with a full disk: {passed} commands passed in what was left, then none, reads went on; {took:.1f} s after there was room commands passed again: ok")
    finally:
        running.kill()
        process.kill()
        process.wait()
        subprocess.run(["umount", "-l", disk], check=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
