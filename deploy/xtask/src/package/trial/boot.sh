# Starts systemd as the first process of namespaces of its own, in an overlay of this system. `outer` is run first: it makes
# the control groups. Nothing of this machine is changed but those, which the caller removes, as it ends the process.
#   sh boot.sh outer NAME PLACE DIRECTORY...    PLACE: an empty directory; each DIRECTORY is seen inside at its own path
set -e
stage=$1 own=$2 place=$3
shift 3
case $stage in
outer)
    for cgroups in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
        if [ -e "$cgroups/cgroup.procs" ]; then
            mkdir -p "$cgroups/$own"
            echo $$ > "$cgroups/$own/cgroup.procs"
        fi
    done
    exec unshare --mount --pid --fork --kill-child --uts --ipc --net --cgroup --propagation private \
        sh "$0" inner "$own" "$place" "$@"
    ;;
inner)
    mount -t tmpfs trial "$place"
    mkdir "$place/upper" "$place/work" "$place/root"
    root=$place/root
    mount -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" trial "$root"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    mount -t tmpfs run "$root/run"
    mount -t sysfs -o ro sys "$root/sys"
    if [ -e /sys/fs/cgroup/cgroup.procs ]; then
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    else
        mount -t tmpfs cgroups "$root/sys/fs/cgroup"
        mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
        mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
    fi
    for directory in "$@"; do
        mkdir -p "$root$directory"
        mount --bind "$directory" "$root$directory"
        # What the services' account has to get through is closed on some machines.
        while [ "$directory" != / ]; do
            directory=$(dirname "$directory")
            chmod o+x "$root$directory"
        done
    done
    # Nothing of this machine is started: only these units are known.
    rm -rf "$root/etc/systemd/system"
    mkdir "$root/etc/systemd/system"
    for target in basic multi-user network-online shutdown sockets sysinit trial umount; do
        printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$target" > "$root/etc/systemd/system/$target.target"
    done
    mkdir "$root/run/old"
    cd "$root"
    pivot_root . run/old
    umount -l /run/old
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH=/etc/systemd/system \
        /lib/systemd/systemd --system --unit=trial.target --show-status=no --log-target=null
    ;;
esac
