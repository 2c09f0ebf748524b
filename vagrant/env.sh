# Sourced by the other scripts: where cargo's programs and the network tools lie when the caller's PATH lacks them.
export PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/sbin
