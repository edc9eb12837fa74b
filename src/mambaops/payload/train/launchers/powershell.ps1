# Stage 2 from Windows: enters WSL and trains there (-Native: with Windows' own Python).
#   .\run_stage2_train.ps1 [-TrainOnly | -InstallOnly] [-Distro Ubuntu] [-Native] [flags of the program]
# Without flags of your own those of the WSL machine with an RTX 5090 are used.
param(
    [switch]$InstallOnly,
    [switch]$TrainOnly,
    [switch]$Native,
    [string]$Distro = "",
    [string]$BuildProfile = "@PROFILE@",
    [Parameter(ValueFromRemainingArguments = $true)][string[]]$Flags
)
$ErrorActionPreference = "Stop"
if (-not $Flags) {
    $Flags = @("--epochs", "20", "--batch_size", "1", "--max_visual_tokens", "96", "--max_text_len", "512", "--from_scratch")
}
if ($Native) {
    $env:KMP_DUPLICATE_LIB_OK = "TRUE"
    & python -m mambaops.payload.train.vlm @Flags --num_workers 0
    exit $LASTEXITCODE
}
$Words = @("train-stage2", "--profile", $BuildProfile)
if ($InstallOnly) { $Words += "--install-only" }
if ($TrainOnly) { $Words += "--train-only" }
if (-not $InstallOnly) { $Words += @("--") + $Flags }
$Enter = @("--cd", (Get-Location).Path)
if ($Distro) { $Enter = @("-d", $Distro) + $Enter }
& wsl.exe @Enter -- mambaops @Words
exit $LASTEXITCODE
