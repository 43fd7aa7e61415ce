#Requires -Version 5.1
<#
.SYNOPSIS
    Removes Tidegate's services, firewall rule and programs. Sites stay.
.DESCRIPTION
    Stops the services of every site, which finish requests first, removes them, and deletes the directory that install.ps1 has
    made. Site files, applications, logs and what Tidegate keeps beside them stay; -RemoveData deletes the latter (state_dir).
    What the MSI has installed is removed by the MSI. Run it as administrator.
.PARAMETER Destination
    Where the programs are.
.PARAMETER Name
    Beginning of the services' names, as install.ps1 was given it; its firewall rule goes, too.
.PARAMETER RemoveData
    Delete what Tidegate keeps for each site, too: logs, buffers and the certificates that it made. Site files and apps stay.
.EXAMPLE
    .\uninstall.ps1
.EXAMPLE
    .\uninstall.ps1 -RemoveData -Confirm:$false
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [ValidateNotNullOrEmpty()]
    [string] $Destination = (Join-Path -Path $env:ProgramFiles -ChildPath 'Tidegate'),

    [ValidatePattern('^[A-Za-z][A-Za-z0-9-]{0,31}$')]
    [string] $Name = 'Tidegate',

    [switch] $RemoveData
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Invoke-Tidegate {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)]
        [string[]] $Argument
    )
    & $command @Argument
    if ($LASTEXITCODE -ne 0) {
        throw "tidegate $($Argument -join ' ') ended with code $LASTEXITCODE"
    }
}

$command = Join-Path -Path $Destination -ChildPath 'tidegate.exe'
if (-not (Test-Path -Path $command)) {
    throw "There is no Tidegate in $Destination; -Destination names another directory."
}
if ($PSCmdlet.ShouldProcess("Services of $Destination", 'Stop and remove')) {
    $uninstall = @('service', 'uninstall', '--all')
    if ($RemoveData) {
        $uninstall += @('--remove-data')
    }
    Invoke-Tidegate -Argument $uninstall
}
$rule = Get-NetFirewallRule -Name "$Name-Proxy" -ErrorAction SilentlyContinue
if ($rule -and $PSCmdlet.ShouldProcess("$Name-Proxy", 'Remove the firewall rule')) {
    $rule | Remove-NetFirewallRule
}
if ($PSCmdlet.ShouldProcess($Destination, 'Delete the programs')) {
    Remove-Item -Path $Destination -Recurse -Force
}
