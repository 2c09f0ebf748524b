# Sourced by the other scripts: where cargo's programs and the network tools lie, if the caller's PATH lacks them.
# A PATH that has them stays as it is, so that builds by hand and by `make` share what they built.
for millrace_folder in "${CARGO_HOME:-$HOME/.cargo}/bin" /usr/sbin /sbin; do
    case :$PATH: in *:$millrace_folder:*) ;; *) export PATH=$PATH:$millrace_folder ;; esac
done
unset millrace_folder
