"""A Kubernetes cluster on this machine: etcd, API server, controllers, scheduler, containerd and one
kubelet, from Debian's packages and from Kubernetes' sources, in a network namespace of their own.

The control plane and the node are real; no image is pulled and no host's port, rule or mount is touched.
Kubernetes is built once into build/kubernetes, by Go, which takes minutes."""

import hashlib
import io
import json
import os
import pathlib
import secrets
import shutil
import signal
import ssl
import subprocess
import tarfile
import urllib.error
import urllib.request

from harness import BIN, ROOT, wait_for

VERSION = "1.34.4"
SOURCES = pathlib.Path(__file__).resolve().parent / "kubernetes"
BUILT = ROOT / "build" / "kubernetes"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
DEBIANS = ("etcd", "containerd", "ctr", "runc", "busybox", "ip", "nsenter", "unshare")
NODE = "node-1"
HOST, INSIDE = "10.99.17.2", "10.99.17.1"  # Both ends of the link between this machine and the cluster's.
PODS = "10.88.17.0/24"
API = f"https://{INSIDE}:16443"

os.environ["PATH"] += ":/usr/sbin:/sbin"

CNI = {"cniVersion": "0.4.0", "name": "atelier", "plugins": [
    {"type": "ptp", "ipMasq": False, "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]],
                                             "routes": [{"dst": "0.0.0.0/0"}]}}]}

CONTAINERD = """
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""

KUBELET = """
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: 10260
readOnlyPort: 0
healthzPort: 0
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
cgroupDriver: cgroupfs
cgroupsPerQOS: true
enforceNodeAllocatable: []
containerRuntimeEndpoint: unix://{folder}/containerd.sock
failSwapOn: false
failCgroupV1: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
imageGCHighThresholdPercent: 100
evictionHard: {{memory.available: "100Mi"}}
resolvConf: ""
nodeStatusUpdateFrequency: 2s
nodeLeaseDurationSeconds: 10
syncFrequency: 10s
"""

CONTROLLERS = ("job-controller,garbage-collector-controller,serviceaccount-controller,"
               "root-ca-certificate-publisher-controller,namespace-controller,node-lifecycle-controller,"
               "taint-eviction-controller,pod-garbage-collector-controller,ttl-after-finished-controller,"
               "disruption-controller,resourcequota-controller")

# The least that atelierd needs, as deploy/kubernetes/workers has it.
DEPLOY = ROOT / "deploy" / "kubernetes"
ROLE = DEPLOY / "workers" / "role.yaml"


def why_not():
    """Why no cluster can be started here; empty if one can."""
    if os.geteuid() != 0:
        return "SKIPPED Kubernetes: its node runs containers as root only"
    missing = [name for name in DEBIANS if shutil.which(name) is None]
    if not pathlib.Path("/usr/lib/cni/ptp").exists():
        missing.append("/usr/lib/cni/ptp")
    if missing:
        return (f"SKIPPED Kubernetes: {', '.join(missing)} not installed (Debian: etcd-server, containerd, "
                "runc, containernetworking-plugins, busybox-static, iproute2)")
    return "" if all((BUILT / "bin" / name).exists() for name in PROGRAMS) else build()


def build():
    """Builds Kubernetes, once; why that cannot be done, or nothing."""
    if shutil.which("go") is None:
        return f"SKIPPED Kubernetes: there is no Go to build Kubernetes {VERSION} with"
    BUILT.mkdir(parents=True, exist_ok=True)
    for source in SOURCES.iterdir():
        shutil.copy(source, BUILT)
    environment = dict(os.environ, GOFLAGS="-mod=mod -buildvcs=false", CGO_ENABLED="0", GOGC="400")
    done = subprocess.run(
        ["go", "build", "-trimpath", "-gcflags=all=-N -l", "-ldflags=-s -w", "-o", "bin/",
         *(f"k8s.io/kubernetes/cmd/{name}" for name in PROGRAMS)],
        cwd=BUILT, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    return f"SKIPPED Kubernetes: it could not be built: {done.stderr.strip().splitlines()[-1][:200]}"


def archive(path, name, files):
    """Writes a container image of one layer as a docker archive; files by their place in it. A value that
    begins with @ is the target of a symbolic link."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in ("bin", "usr", "lib", "lib64", "tmp", "etc", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for place, source in files.items():
            entry = tarfile.TarInfo(place)
            entry.mode = 0o755
            if source.startswith("@"):
                entry.type, entry.linkname = tarfile.SYMTYPE, source[1:]
                tar.addfile(entry)
            else:
                content = pathlib.Path(source).read_bytes()
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    data = layer.getvalue()
    config = json.dumps({
        "architecture": "amd64", "os": "linux",
        "config": {"Entrypoint": ["/" + next(iter(files))], "Env": ["PATH=/bin:/usr/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest()]}}).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for place, content in ((config_name, config), ("layer.tar", data), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(place)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


class Cluster:
    """One node. What is asked of its API server as administrator is `call`; `token_file` and `ca_file`
    are those of the service account that atelierd has."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.daemons = {}
        self.name = "atelier-k8s"
        self.admin = secrets.token_hex(16)
        self.ca_file = self.folder / "certs" / "apiserver.crt"
        self.token_file = self.folder / "token"

    def __enter__(self):
        for name in ("log", "cni", "containerd"):
            (self.folder / name).mkdir(parents=True)
        self.saved = {path: path.read_text() for path in map(pathlib.Path, (
            "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops"))}
        try:
            self._make_network()
            self._write_files()
            self._start_keeper()
            self.start_api_server()
            self._start_controllers()
            self._start_containerd()
            self.start_kubelet()
            self._grant()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in reversed(list(self.daemons)):
            self.stop(name, signal.SIGKILL if name == "kubelet" else signal.SIGTERM)
        # What containerd started outlives it.
        for pid in self._run("ip", "netns", "pids", self.name, check=False).stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._run("ip", "netns", "del", self.name, check=False)
        self._run("ip", "link", "del", "atelier-k8s", check=False)
        for path, value in self.saved.items():
            path.write_text(value)
        for group in pathlib.Path("/sys/fs/cgroup").glob("*/kubepods"):
            for child in sorted(group.rglob("*"), reverse=True):
                if child.is_dir():
                    self._remove(child)
            self._remove(group)

    @staticmethod
    def _remove(group):
        try:
            group.rmdir()
        except OSError:
            pass

    @staticmethod
    def _run(*command, check=True, **options):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
        assert done.returncode == 0 or not check, (command, done.stdout, done.stderr)
        return done

    def _make_network(self):
        self._run("ip", "netns", "del", self.name, check=False)
        self._run("ip", "link", "del", "atelier-k8s", check=False)
        self._run("ip", "netns", "add", self.name)
        self._run("ip", "link", "add", "atelier-k8s", "type", "veth", "peer", "name", "outside",
                  "netns", self.name)
        self._run("ip", "addr", "add", f"{HOST}/24", "dev", "atelier-k8s")
        self._run("ip", "link", "set", "atelier-k8s", "up")
        self._run("ip", "route", "add", PODS, "via", INSIDE, check=False)
        inside = ("ip", "-n", self.name)
        self._run(*inside, "link", "set", "lo", "up")
        self._run(*inside, "addr", "add", f"{INSIDE}/24", "dev", "outside")
        self._run(*inside, "link", "set", "outside", "up")
        self._run(*inside, "route", "add", "default", "via", HOST)
        self._run("ip", "route", "replace", PODS, "via", INSIDE)
        self._run("nsenter", f"--net=/run/netns/{self.name}", "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def _write_files(self):
        self._run("openssl", "genrsa", "-out", str(self.folder / "sa.key"), "2048")
        (self.folder / "tokens.csv").write_text(f"{self.admin},admin,admin,system:masters\n")
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        (self.folder / "cni" / "10-atelier.conflist").write_text(json.dumps(CNI))
        (self.folder / "containerd.toml").write_text(CONTAINERD.format(folder=self.folder))
        (self.folder / "kubelet.yaml").write_text(KUBELET.format(folder=self.folder))
        (self.folder / "admin.conf").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "c", "cluster": {"server": API, "certificate-authority": str(self.ca_file)}}],
            "users": [{"name": "a", "user": {"token": self.admin}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "a"}}]}))

    def _start_keeper(self):
        """A process that holds a mount namespace, in which nothing of this machine is mounted over."""
        script = (f"mount --make-rprivate / && mount --bind {self.folder}/resolv.conf /etc/resolv.conf && "
                  "echo ready && exec sleep infinity")
        keeper = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.name}", "unshare", "--mount", "sh", "-c",
                                   script], stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert keeper.stdout.readline() == "ready\n"
        self.daemons["keeper"] = keeper

    def start(self, name, *command):
        """Starts a daemon in the cluster's namespaces; another one of that name has ended."""
        log = open(self.folder / "log" / name, "a")
        keeper = self.daemons["keeper"].pid
        self.daemons[name] = subprocess.Popen(
            ["nsenter", f"--target={keeper}", "--net", "--mount", "sh", "-c", 'cd "$0" && exec "$@"',
             str(self.folder), *map(str, command)],
            stdout=log, stderr=log, start_new_session=True)

    def stop(self, name, how=signal.SIGTERM):
        daemon = self.daemons.pop(name)
        daemon.send_signal(how)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(20)

    def start_api_server(self):
        if "etcd" not in self.daemons:
            self.start("etcd", "etcd", "--data-dir", "etcd", "--listen-client-urls", "http://127.0.0.1:23790",
                       "--advertise-client-urls", "http://127.0.0.1:23790", "--listen-peer-urls",
                       "http://127.0.0.1:23800", "--initial-advertise-peer-urls", "http://127.0.0.1:23800",
                       "--initial-cluster", "default=http://127.0.0.1:23800")
        self.start("apiserver", BUILT / "bin" / "kube-apiserver", "--etcd-servers=http://127.0.0.1:23790",
                   "--secure-port=16443", "--bind-address=0.0.0.0", f"--advertise-address={INSIDE}",
                   f"--cert-dir={self.ca_file.parent}", "--service-account-issuer=https://kubernetes.default.svc",
                   "--service-account-key-file=sa.key", "--service-account-signing-key-file=sa.key",
                   "--token-auth-file=tokens.csv", "--authorization-mode=Node,RBAC",
                   "--service-cluster-ip-range=10.0.17.0/24", "--endpoint-reconciler-type=none",
                   "--profiling=false")
        wait_for(lambda: self.get("/readyz", raw=True) == b"ok", 120, "the API server")

    def _start_controllers(self):
        self.start("controllers", BUILT / "bin" / "kube-controller-manager", "--kubeconfig=admin.conf",
                   f"--controllers={CONTROLLERS}", "--service-account-private-key-file=sa.key",
                   f"--root-ca-file={self.ca_file}", "--leader-elect=false", "--secure-port=0",
                   "--node-monitor-grace-period=15s")
        self.start("scheduler", BUILT / "bin" / "kube-scheduler", "--kubeconfig=admin.conf",
                   "--leader-elect=false", "--secure-port=0")

    def _start_containerd(self):
        pause = self.folder / "pause"
        source = self.folder / "pause.c"
        source.write_text("#include <signal.h>\n#include <unistd.h>\n"
                          "static void end(int s) { _exit(s == SIGTERM ? 0 : 1); }\n"
                          "int main() { signal(SIGTERM, end); signal(SIGCHLD, SIG_IGN); for (;;) pause(); }\n")
        self._run("gcc", "-static", "-O1", "-o", str(pause), str(source))
        archive(self.folder / "pause.tar", "localhost/pause:1", {"pause": str(pause)})
        archive(self.folder / "worker.tar", "localhost/worker:1",
                {"bin/busybox": shutil.which("busybox"), "bin/sh": "@busybox", "bin/sleep": "@busybox"})
        self.start("containerd", "containerd", "--config", "containerd.toml")
        ctr = ("ctr", "-a", str(self.folder / "containerd.sock"))
        wait_for(lambda: self._run(*ctr, "version", check=False).returncode == 0, 60, "containerd")
        for image in ("pause", "worker"):
            self._run(*ctr, "-n", "k8s.io", "images", "import", str(self.folder / f"{image}.tar"))

    def start_kubelet(self):
        self.start("kubelet", BUILT / "bin" / "kubelet", "--config=kubelet.yaml", "--kubeconfig=admin.conf",
                   f"--hostname-override={NODE}", f"--root-dir={self.folder}/kubelet",
                   f"--cert-dir={self.folder}/kubelet-certs")
        wait_for(self._ready, 120, f"{NODE}")

    def _ready(self):
        node = self.get(f"/api/v1/nodes/{NODE}") or {}
        return any(condition["type"] == "Ready" and condition["status"] == "True"
                   for condition in node.get("status", {}).get("conditions", []))

    def _grant(self):
        """The service account of atelierd, with the role that deploy/kubernetes ships."""
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": "atelier"}})
        self.call("POST", "/api/v1/namespaces/atelier/serviceaccounts", {"metadata": {"name": "atelier"}})
        for document in ROLE.read_text().split("\n---\n"):
            self.call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/atelier/"
                      f"{'rolebindings' if 'kind: RoleBinding' in document else 'roles'}",
                      document, "application/yaml")
        self.renew_token()

    def renew_token(self):
        token = self.call("POST", "/api/v1/namespaces/atelier/serviceaccounts/atelier/token", {"spec": {}})
        self.token_file.write_text(token["status"]["token"])

    # The API, as administrator.

    def call(self, method, path, body=None, kind="application/json"):
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        request = urllib.request.Request(
            API + path, body and body.encode(), method=method,
            headers={"Authorization": f"Bearer {self.admin}", "Content-Type": kind})
        context = ssl._create_unverified_context()
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            return json.loads(answer.read() or b"{}")

    def get(self, path, raw=False):
        """Nothing while nobody answers, or where nothing is."""
        request = urllib.request.Request(API + path, headers={"Authorization": f"Bearer {self.admin}"})
        try:
            with urllib.request.urlopen(request, timeout=20, context=ssl._create_unverified_context()) as answer:
                return answer.read() if raw else json.loads(answer.read())
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def items(self, kind):
        """Jobs, pods or secrets of atelierd's namespace."""
        group = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        listed = self.get(f"{group}/namespaces/atelier/{kind}") or {}
        return listed.get("items", [])

    def wait_empty(self):
        for kind in ("jobs", "pods", "secrets"):
            wait_for(lambda kind=kind: not self.items(kind), 60, f"the end of all {kind}")

    def template(self, folder, *paths, job=None, **changes):
        """A file with a Job in which the worker finds this machine's programs and libraries, and these paths.
        What else is in it is of `job`, and of the worker, `changes`."""
        job = job or {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {
            "enableServiceLinks": False, "terminationGracePeriodSeconds": 10, "containers": [{"name": "worker"}]}}}}
        spec = job["spec"]["template"]["spec"]
        [worker] = spec["containers"]
        worker.update({"image": "localhost/worker:1", "imagePullPolicy": "Never", **changes})
        paths = ["/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", BIN, BIN.parent / "lib", *paths]
        for number, path in enumerate(map(str, paths)):
            spec.setdefault("volumes", []).append({"name": f"v{number}", "hostPath": {"path": path}})
            worker.setdefault("volumeMounts", []).append({"name": f"v{number}", "mountPath": path})
        path = pathlib.Path(folder) / "job.json"
        path.write_text(json.dumps(job))
        return path

    def kill_node(self):
        """As if the machine lost power: its kubelet and everything that runs on it are gone at once."""
        self.stop("kubelet", signal.SIGKILL)
        ctr = ("ctr", "-a", str(self.folder / "containerd.sock"), "-n", "k8s.io")
        for task in self._run(*ctr, "tasks", "list", "--quiet").stdout.split():
            self._run(*ctr, "tasks", "kill", "--signal", "SIGKILL", task, check=False)
