.PHONY: demo test bench lab clean
demo: ; @vagrant/demo.sh
test: ; @vagrant/test.sh
bench: ; @vagrant/bench.sh
lab: ; @vagrant/lab.sh keep
clean: ; @cargo clean && rm -rf out
