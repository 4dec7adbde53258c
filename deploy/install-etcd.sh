#!/bin/sh
# Makes sure that etcd and etcdctl are on this machine: takes what is there, else Debian's packages, else Homebrew's.
# Says nothing and changes nothing when both are there. Never leaves an etcd running that was not running before.
set -eu

# The same places in which `quartermaster dev` looks.
PATH="$PATH:/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin:/opt/homebrew/bin:/home/linuxbrew/.linuxbrew/bin"

present() {
  command -v etcd >/dev/null 2>&1 && command -v etcdctl >/dev/null 2>&1
}

give_up() {
  echo "install-etcd: $1 Get etcd and etcdctl from https://github.com/etcd-io/etcd/releases and put them into PATH." >&2
  exit 1
}

POLICY=/usr/sbin/policy-rc.d

install_with_apt() {
  if [ "$(id -u)" -eq 0 ]; then
    as_root=''
  elif command -v sudo >/dev/null 2>&1; then
    as_root='sudo'
  else
    give_up 'etcd is missing, and without root or sudo apt-get cannot install it.'
  fi

  had_server=no
  ! command -v etcd >/dev/null 2>&1 || had_server=yes

  # Debian starts a service as soon as it is installed, on port 2379; this forbids it for the time of the installation.
  made_policy=no
  if [ ! -e "$POLICY" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$POLICY" >/dev/null
    $as_root chmod 755 "$POLICY"
    made_policy=yes
  fi
  trap '[ "$made_policy" = no ] || $as_root rm -f "$POLICY"' EXIT
  trap 'exit 130' INT TERM

  apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends"
  log=$(mktemp)
  if ! $apt install etcd-server etcd-client >"$log" 2>&1; then
    # The lists of packages may be old, or not there at all.
    if ! { $as_root apt-get -qq update && $apt install etcd-server etcd-client; } >"$log" 2>&1; then
      cat "$log" >&2
      rm -f "$log"
      give_up 'apt-get could not install etcd-server and etcd-client.'
    fi
  fi
  rm -f "$log"
  # We want the program, not the service: it must not come up at the next start of the machine either. Where the
  # server was installed before, the service is somebody else's.
  if [ "$had_server" = no ] && command -v systemctl >/dev/null 2>&1; then
    $as_root systemctl disable --now etcd.service >/dev/null 2>&1 || true
  fi
}

present && exit 0

if command -v apt-get >/dev/null 2>&1; then
  echo 'install-etcd: installing etcd-server and etcd-client with apt-get' >&2
  install_with_apt
elif command -v brew >/dev/null 2>&1; then
  echo 'install-etcd: installing etcd with Homebrew' >&2
  HOMEBREW_NO_AUTO_UPDATE=1 brew install --quiet etcd >&2 || give_up 'Homebrew could not install etcd.'
else
  give_up 'etcd is missing, and there is neither apt-get nor Homebrew to install it.'
fi

present || give_up 'etcd is still missing after the installation.'
