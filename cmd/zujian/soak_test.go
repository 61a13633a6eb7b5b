package main

import (
	"encoding/json"
	"os/exec"
	"testing"

	"zujian/cmd/zujian/internal/soak"
)

// TestSoak runs one short round of the command as an operator would.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills real processes")
	}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "soak", "--seed", "7", "--rounds", "1", "--crashes", "60", "--calls", "2000", "--json")
	var errs lockedBuffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var r soak.Report
	if err != nil || json.Unmarshal(out, &r) != nil {
		t.Fatalf("%v\n%s\n%s", err, out, &errs)
	}
	if r.Rounds != 1 || r.Crashes != 60 || r.Verified == 0 || r.Histories != 1 || r.Calls < 1500 || r.Folders != 1 || r.Failure != "" ||
		r.Faults["process: SIGKILL"] == 0 || r.Faults["error: sync once"] == 0 || r.KeyCrashes != 60 || r.KeysVerified == 0 || r.SigningCrashes != 6 || r.WholeCrashes != 3 || r.LossPerCrash != 3.0/60 {
		t.Errorf("%+v", r)
	}
	if code := run(t.Context(), []string{"soak", "--calls", "1"}, &lockedBuffer{}, &lockedBuffer{}); code != exitUsage {
		t.Errorf("exit %d for too few calls", code)
	}
}
