"""What benches/run measures with: the sandbox, the programs beside each other, and /proc."""

import contextlib
import functools
import itertools
import json
import mmap
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request

BENCHES = pathlib.Path(__file__).resolve().parent
ROOT = BENCHES.parent
BARNACLE = ROOT / "target/release/barnacle"
YARDSTICK = ROOT / "target/release/yardstick"
TWILIGHT = BENCHES / "peers/twilight/target/release"
DISCORDJS = BENCHES / "peers/discordjs"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
TOKENS = itertools.count(1)
# For what must happen at all.
PATIENCE_S = 120


def run(*command, **options):
    subprocess.run([str(word) for word in command], check=True, **options)


def build():
    """Builds the program, and whichever of its peers this machine has the tools for."""
    cargo = ["cargo", "build", "--release", "--quiet"]
    run(*cargo, cwd=ROOT)
    # The same versions as the program's, so that the same code is measured.
    shutil.copy(ROOT / "Cargo.lock", BENCHES / "yardstick/Cargo.lock")
    run(*cargo, "--target-dir", ROOT / "target", cwd=BENCHES / "yardstick")
    # Whether twilight asks for a compressed stream is decided when it is built.
    twilight = BENCHES / "peers/twilight"
    run(*cargo, "--no-default-features", cwd=twilight)
    shutil.copy(TWILIGHT / "peer-twilight", TWILIGHT / "peer-twilight-plain")
    run(*cargo, cwd=twilight)
    if shutil.which("npm") and not (DISCORDJS / "node_modules").exists():
        run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent",
            cwd=DISCORDJS)


class Bench:
    """A directory of its own, a certificate, and whatever was started, ended by its own id."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="barnacle-bench-"))
        self.stack = contextlib.ExitStack()
        self.stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self.count = 0

    def fresh(self, name):
        self.count += 1
        path = self.dir / f"{name}-{self.count}"
        path.mkdir(mode=0o700)
        return path

    @functools.cached_property
    def certificate(self):
        """An authority that lives as long as this run, and a certificate for localhost."""
        path = self.fresh("tls")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        quiet = {"cwd": path, "stderr": subprocess.DEVNULL}
        run("openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=benches", "-addext", "basicConstraints=critical,CA:TRUE", **quiet)
        run("openssl", "req", *key, "-keyout", "key.pem", "-out", "leaf.csr",
            "-subj", "/CN=localhost", **quiet)
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n"
        (path / "leaf.ext").write_text(names)
        run("openssl", "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "leaf.ext", "-out", "leaf.pem", **quiet)
        return path

    @functools.cached_property
    def counter(self):
        """The library that counts allocations."""
        library = self.fresh("count") / "count.so"
        run("cc", "-O2", "-shared", "-fPIC", "-o", library, BENCHES / "count_allocations.c")
        return library


class Process:
    """A child process and the lines that it prints."""

    def __init__(self, command, env, cwd=None):
        keep = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        self.lines = []
        self.started = time.monotonic()
        self.child = subprocess.Popen(
            [str(word) for word in command], env=keep | env, cwd=cwd, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip())

    def wait_for(self, what, found, patience=PATIENCE_S, every=0.05):
        until = time.monotonic() + patience
        while not (result := found()):
            if time.monotonic() > until or self.child.poll() is not None:
                raise RuntimeError(f"waited in vain for {what}; it said: {self.lines[-20:]}")
            time.sleep(every)
        return result

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.reader.join()

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.child.pid}/{name}").read_text()

    def cpu_ticks(self):
        """User and system time of all threads, those that have ended too."""
        fields = self.proc("stat").rsplit(")", 1)[1].split()
        return int(fields[11]), int(fields[12])

    def memory_kib(self):
        """Resident, and anonymous: what no other process could share."""
        rows = (line.split() for line in self.proc("smaps_rollup").splitlines())
        sizes = {row[0]: int(row[1]) for row in rows if row[-1] == "kB"}
        return sizes["Rss:"], sizes["Anonymous:"]

    def switches(self):
        """Context switches of all threads, of their own will and not."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.child.pid}/task").iterdir():
            rows = (line.split() for line in (task / "status").read_text().splitlines())
            total += sum(int(row[1]) for row in rows if "ctxt_switches" in row[0])
        return total


class Sandbox(Process):
    """The embedded Discord, in a process of its own."""

    def __init__(self, bench, tls=False, heartbeat_ms=41250):
        command = [BARNACLE, "sandbox", "--host", "localhost", "--heartbeat", heartbeat_ms]
        self.context = None
        if tls:
            path = bench.certificate
            command += ["--cert", path / "leaf.pem", "--key", path / "key.pem"]
            self.context = ssl.create_default_context(cafile=path / "ca.pem")
        super().__init__(command, {})
        bench.stack.callback(self.stop)
        self.tls = tls
        # It steers by HTTP: standard input is empty.
        self.wait_for("the sandbox", lambda: len(self.lines) >= 2)
        said = dict(line.split("=", 1) for line in self.lines if "=" in line)
        self.api, self.gateway = said["DISCORD_API_URL"], said["GATEWAY_URL"]

    def ask(self, name, body=None):
        url = self.api.removesuffix("/api/v10") + f"/_sandbox/{name}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data, headers)
        with urllib.request.urlopen(request, timeout=30, context=self.context) as answer:
            return json.load(answer)

    def state(self):
        return self.ask("state")

    def token(self):
        """A bot of its own for each client: two of one token are not to run at a time."""
        return f"bench-{os.getpid()}-{next(TOKENS)}"

    def happened(self, what):
        return [event for event in self.state()["events"] if event["what"] == what]

    def bot(self):
        """The bot that identified or resumed last."""
        bots = {bot["id"]: bot for bot in self.state()["bots"]}
        seen = self.happened("identify") + self.happened("resume")
        return bots[max(seen, key=lambda event: event["ms"])["bot"]]

    def epoch(self):
        """When its clock read 0, on ours: the times that it tells are whole milliseconds, and
        each look narrows down where between two of them we are."""
        earliest, latest = 0.0, float("inf")
        for _ in range(100):
            before = time.monotonic()
            ms = self.state()["ms"]
            after = time.monotonic()
            earliest = max(earliest, before - (ms + 1) / 1000)
            latest = min(latest, after - ms / 1000)
        return (earliest + latest) / 2


class Client(Process):
    """A program under test, connected to a sandbox."""

    def __init__(self, bench, sandbox, command, env, token=None, wrap=(), cwd=None):
        self.sandbox = sandbox
        before = len(sandbox.happened("ready")) + len(sandbox.happened("resumed"))
        super().__init__([*wrap, *command], env, cwd)
        bench.stack.callback(self.stop)
        self.wait_for("READY", lambda: self.up() > before)

    def up(self):
        return len(self.sandbox.happened("ready")) + len(self.sandbox.happened("resumed"))


class Barnacle(Client):
    name = "barnacle"
    compresses = True

    def __init__(self, bench, sandbox, zlib=True, state=None, token=None, config=None, env=None,
                 wrap=()):
        self.state_dir = state or bench.fresh("state")
        self.port = free_port()
        config = {"gateway": {"port": self.port}} | (config or {})
        config["channels"] = {"discord": {"compress": zlib}}
        if sandbox.tls:
            config["net"] = {"caFile": str(bench.certificate / "ca.pem")}
        file = bench.fresh("config") / "barnacle.json5"
        file.write_text(json.dumps(config))
        env = (env or {}) | {
            "DISCORD_BOT_TOKEN": token or sandbox.token(),
            "DISCORD_API_URL": sandbox.api,
            "BARNACLE_STATE_DIR": str(self.state_dir),
            "BARNACLE_CONFIG": str(file),
        }
        self.env = env
        super().__init__(bench, sandbox, [BARNACLE, "gateway"], env, wrap=wrap)

    def status(self):
        token = (self.state_dir / "gateway.token").read_text().strip()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/status")
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def messages(self):
        """How many it has judged: none is to be answered, and each is counted as such."""
        return sum(self.status()["channels"]["discord"]["accounts"]["default"]["messages"]["notAnswered"].values())

    @staticmethod
    def bytes():
        return BARNACLE.stat().st_size


class Peer(Client):
    """One that says on standard output how many messages it has seen."""

    compresses = True

    def messages(self):
        """Told in full thousands."""
        told = [line.split() for line in self.lines if line.startswith("messages ")]
        return int(told[-1][1]) if told else 0

    def peer_env(self, bench, sandbox):
        env = {"PEER_TOKEN": sandbox.token(), "PEER_URL": sandbox.gateway}
        env["PEER_API"] = sandbox.api.removesuffix("/v10")
        if sandbox.tls:
            ca = str(bench.certificate / "ca.pem")
            env |= {"SSL_CERT_FILE": ca, "NODE_EXTRA_CA_CERTS": ca}
        return env


class Twilight(Peer):
    name = "twilight"

    def __init__(self, bench, sandbox, zlib=True, env=None, wrap=()):
        program = TWILIGHT / ("peer-twilight" if zlib else "peer-twilight-plain")
        env = self.peer_env(bench, sandbox) | (env or {})
        super().__init__(bench, sandbox, [program], env, wrap=wrap)

    @staticmethod
    def bytes():
        return (TWILIGHT / "peer-twilight").stat().st_size


class DiscordJs(Peer):
    name = "discord.js"
    # It would need a native addon.
    compresses = False

    def __init__(self, bench, sandbox, zlib=False, env=None):
        env = self.peer_env(bench, sandbox) | (env or {})
        super().__init__(bench, sandbox, ["node", "main.mjs"], env, cwd=DISCORDJS)

    @staticmethod
    def bytes():
        node = pathlib.Path(os.path.realpath(shutil.which("node"))).stat().st_size
        modules = (DISCORDJS / "node_modules").rglob("*.js")
        return node + sum(file.stat().st_size for file in modules)


class Floor(Peer):
    """Reads the bytes and touches them, and nothing else; it knows neither TLS nor zlib."""

    name = "floor"
    compresses = False

    def __init__(self, bench, sandbox, zlib=False):
        env = self.peer_env(bench, sandbox)
        env["PEER_URL"] = env["PEER_URL"].replace("localhost", "127.0.0.1")
        super().__init__(bench, sandbox, [YARDSTICK, "floor"], env)

    def bytes_per_message(self):
        words = [line for line in self.lines if line.startswith("messages ")][-1].split()
        return int(words[3]) / int(words[1])


def clients():
    """Those that there are on this machine, ours first."""
    has_node = shutil.which("node") and (DISCORDJS / "node_modules").exists()
    return [Barnacle, Twilight] + ([DiscordJs] if has_node else [])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Flood:
    """What a flood of messages cost the client that took it."""

    def __init__(self, client, count, text_bytes, rate=0):
        before, seen = client.cpu_ticks(), client.messages()
        start = time.monotonic()
        flood = {"count": count, "bytes": text_bytes, "rate": rate}
        client.sandbox.ask("flood", flood)
        # Asking would cost the client something too, so it is asked once it has fallen silent.
        ticks, changed = before, start
        while True:
            time.sleep(0.05)
            now = client.cpu_ticks()
            if now != ticks:
                ticks, changed = now, time.monotonic()
            elif time.monotonic() - changed > 0.5:
                if client.messages() - seen >= count:
                    break
                if time.monotonic() - start > PATIENCE_S:
                    raise RuntimeError(f"{client.name} took {client.messages() - seen} of {count}")
                time.sleep(0.5)
        self.user_s = (ticks[0] - before[0]) * TICK_S
        self.system_s = (ticks[1] - before[1]) * TICK_S
        self.cpu_s = self.user_s + self.system_s
        self.rate = count / (changed - start)


class Allocations:
    """The counts of a process that has the counting library loaded."""

    def __init__(self, bench):
        path = bench.fresh("allocations") / "counts"
        path.write_bytes(bytes(16))
        self.env = {"LD_PRELOAD": str(bench.counter), "ALLOCATIONS": str(path)}
        with path.open("rb") as file:
            self.page = mmap.mmap(file.fileno(), 16, access=mmap.ACCESS_READ)

    def read(self):
        """Calls, and bytes asked for."""
        return struct.unpack("QQ", self.page[:16])
