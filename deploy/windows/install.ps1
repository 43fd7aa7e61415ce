#Requires -Version 5.1
<#
.SYNOPSIS
    Installs Tidegate from the directory of this script, and optionally a site's services.
.DESCRIPTION
    Copies the files beside this script to a directory below Program Files; services of an earlier version that run are stopped
    for that, and started again. With -Site it checks that site file, installs both
    services for it and starts them. Everything that knows services is tidegate.exe; this script only calls it. Run it as
    administrator. The MSI does the same with less typing; this is for the portable zip.
.PARAMETER Destination
    Where the programs go.
.PARAMETER Site
    The site file whose services are installed and started.
.PARAMETER Name
    Beginning of the services' names, for more than one site on a machine.
.PARAMETER Account
    One account for both services, such as DOMAIN\shop$ (docs/gmsa.md); the password of one that has one is asked for. Without it
    each has a virtual account of its own.
.PARAMETER FirewallPort
    TCP ports that the Windows firewall lets clients in to. Without it no rule is made (docs/firewall.md).
.EXAMPLE
    .\install.ps1 -Site C:\ProgramData\shop\tidegate.yaml -FirewallPort 80, 443
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [ValidateNotNullOrEmpty()]
    [string] $Destination = (Join-Path -Path $env:ProgramFiles -ChildPath 'Tidegate'),

    [string] $Site,

    [ValidatePattern('^[A-Za-z][A-Za-z0-9-]{0,31}$')]
    [string] $Name = 'Tidegate',

    [string] $Account,

    [ValidateRange(1, 65535)]
    [int[]] $FirewallPort = @()
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Test-Administrator {
    [CmdletBinding()]
    [OutputType([bool])]
    param()
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object -TypeName Security.Principal.WindowsPrincipal -ArgumentList $identity
    return $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
}

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

if (-not (Test-Administrator)) {
    throw 'Services and Program Files are the administrator''s: run this in an elevated PowerShell.'
}
if ($env:PROCESSOR_ARCHITECTURE -ne 'AMD64') {
    throw "Tidegate's programs are for 64-bit Windows on x86 processors, this is $env:PROCESSOR_ARCHITECTURE."
}
$command = Join-Path -Path $Destination -ChildPath 'tidegate.exe'

if ((Resolve-Path -Path $PSScriptRoot).Path -ne $Destination.TrimEnd('\') -and
    $PSCmdlet.ShouldProcess($Destination, 'Copy the files of Tidegate')) {
    $upgrade = Test-Path -Path $command
    if ($upgrade) {
        # Windows does not replace a program that runs, whichever site it serves.
        Invoke-Tidegate -Argument @('service', 'stop', '--all', '--remember')
    }
    try {
        $null = New-Item -Path $Destination -ItemType Directory -Force
        foreach ($program in @('tidegate.exe', 'tidegate-proxy.exe', 'tidegate-appserver.exe', 'tidegate_worker.dll')) {
            Copy-Item -Path (Join-Path -Path $PSScriptRoot -ChildPath $program) -Destination $Destination -Force
        }
        $others = Get-ChildItem -Path $PSScriptRoot | Where-Object -FilterScript { $_.Extension -notin @('.exe', '.dll') }
        $others | Copy-Item -Destination $Destination -Recurse -Force
    }
    finally {
        if ($upgrade) {
            Invoke-Tidegate -Argument @('service', 'install', '--all')
            Invoke-Tidegate -Argument @('service', 'start', '--remembered')
        }
    }
}

if ($Site -and $PSCmdlet.ShouldProcess($Site, 'Install and start the services of the site')) {
    Invoke-Tidegate -Argument @('--config', $Site, 'check', '--no-import')
    $install = @('--config', $Site, 'service', 'install', '--start', '--name', $Name)
    if ($Account) {
        $install += @('--account', $Account)
    }
    Invoke-Tidegate -Argument $install
}

if ($FirewallPort.Count -gt 0 -and $PSCmdlet.ShouldProcess("TCP $($FirewallPort -join ', ')", 'Let clients in')) {
    $rule = @{
        Name        = "$Name-Proxy"
        DisplayName = "$Name proxy"
        Description = 'Lets clients reach the sites that tidegate-proxy serves.'
        Direction   = 'Inbound'
        Action      = 'Allow'
        Protocol    = 'TCP'
        LocalPort   = $FirewallPort
        Program     = Join-Path -Path $Destination -ChildPath 'tidegate-proxy.exe'
    }
    Get-NetFirewallRule -Name $rule.Name -ErrorAction SilentlyContinue | Remove-NetFirewallRule
    $null = New-NetFirewallRule @rule
}

if ($Site -and -not $WhatIfPreference) {
    & $command --config $Site doctor --name $Name
}
