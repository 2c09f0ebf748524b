# Sourced by the other scripts: what a build on Debian needs in the environment, without touching the system.
# Debian names its clang with a version; an unversioned one lies in LLVM's own directory. It goes last, so a
# clang that the user has chosen wins.
for millrace_llvm in /usr/lib/llvm-22; do
    if [ -d "$millrace_llvm/lib" ]; then
        export LIBCLANG_PATH=${LIBCLANG_PATH:-$millrace_llvm/lib}
        export PATH=$PATH:$millrace_llvm/bin
    fi
done
unset millrace_llvm
export PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/sbin
