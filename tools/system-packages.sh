#!/usr/bin/env bash
# Installs the Debian packages a target needs: by apt when root, else prints the exact line and stops.
# usage: tools/system-packages.sh run|test|ceph
set -euo pipefail

run_packages=(python3 python3-venv ffmpeg libusb-1.0-0 libgl1 libglib2.0-0 util-linux e2fsprogs unzip tzdata
  forensics-samples-files opencv-doc xorriso fonts-noto-cjk)
test_packages=(chromium strace xfsprogs postgresql golang-go golang-golang-x-mod-dev openssl systemd udev procps iproute2 softhsm2
  poppler-utils p7zip-full dvdisaster)
# A second S3 server (RADOS Gateway), for `make test-ceph` only.
ceph_packages=(ceph-mon ceph-osd radosgw ceph-common)

wanted=("${run_packages[@]}")
case "${1:-run}" in
  run) ;;
  test) wanted+=("${test_packages[@]}") ;;
  ceph) wanted=("${ceph_packages[@]}") ;;
  *) echo "usage: tools/system-packages.sh run|test|ceph" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

line="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
  echo "These Debian packages are missing. Run this as root, then try again:" >&2
  echo "  $line" >&2
  exit 2
fi
echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# The database server is started by the tests themselves, never by the package.
install -d /etc/postgresql-common && [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
$line >/dev/null
